"""Proofs by interval arithmetic: every stationary point of a formula in a box, and its lowest value."""

from descentlab.certify.certify import certify
from descentlab.certify.result import Certificate, CertifiedPoint, LowestValue, Region

__all__ = ["Certificate", "CertifiedPoint", "LowestValue", "Region", "certify"]
