"""The daily and weekly digest: when it comes, what it says, and that it comes once."""
