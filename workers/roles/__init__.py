"""What each role of a deployment is built of, one file a role."""
