"""What a text may claim: vocabulary, predicates, prices."""
