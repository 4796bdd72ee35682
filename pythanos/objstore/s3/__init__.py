"""S3, and servers that speak its API, through botocore."""
