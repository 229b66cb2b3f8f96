"""The exactly-once runtime of one partition, and its Faust transport."""
