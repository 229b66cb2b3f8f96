"""Circuit breaker, concurrency limit, load balancer and priority queue for calls to servers."""
