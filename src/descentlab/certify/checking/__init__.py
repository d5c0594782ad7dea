"""A certificate's claims proved again: other arithmetic (python-flint), other derivatives, another search.

Nothing here is shared with how a certificate is made, apart from the reading of formulas.
"""
