"""Whether, when and on which channel a customer hears something: policy, caps, quiet hours, rate."""
