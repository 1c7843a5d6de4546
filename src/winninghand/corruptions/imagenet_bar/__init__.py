"""The five corruptions that only ImageNet-C-bar has (Mintun, Kirillov & Xie 2021), group `imagenet_bar`."""
