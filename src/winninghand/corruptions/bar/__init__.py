"""The ten corruptions of CIFAR-10-C-bar (Mintun, Kirillov & Xie 2021), group `bar`.

"On interaction between augmentations and corruptions in natural corruption robustness." Each is a
function that draws, and one without chance that makes the images of these draws.
"""
