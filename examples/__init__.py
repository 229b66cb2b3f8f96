"""Programs to copy from. They use the contract (`schemas`) and nothing else of ours."""
