"""Image sets in shards: parquet files, and tar files as WebDataset writes them."""
