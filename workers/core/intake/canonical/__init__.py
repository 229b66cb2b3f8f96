"""From a draft in any format to one record of customer.events, or the reason why not."""
