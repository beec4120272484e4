"""The control-as-inference lecture, claim by claim: what it says, what is measured here, what should come out."""
