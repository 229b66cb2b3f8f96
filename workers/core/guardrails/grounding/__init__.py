"""Claims a text may make: vocabulary, predicates, amounts, prices."""
