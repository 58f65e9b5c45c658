"""What lives for one pass or one command, and takes the SDKs with it when it ends."""
