"""Folders of image files: which files are of which class and split."""
