"""Alliances in the office: partners, outlets, agreements, notices, papers, their book."""
