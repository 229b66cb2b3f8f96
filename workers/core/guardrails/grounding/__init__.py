"""Grounding of claims in the product's own data: vocabulary, predicates, amounts, prices."""
