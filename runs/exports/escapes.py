"""Escape user text for Markdown, LaTeX and BibTeX."""

from urllib.parse import quote

MARKDOWN = frozenset("\\`*_{}[]<>#|~&$")
LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "`": r"\textasciigrave{}", "₂": r"\textsubscript{2}", "×": r"\texttimes{}",
}  # fmt: skip
#: BibTeX counts braces before LaTeX sees their backslash.
BIBTEX = LATEX | {"{": r"\textbraceleft{}", "}": r"\textbraceright{}", "@": r"\char64{}"}


def markdown(text: str) -> str:
    return "".join(f"\\{sign}" if sign in MARKDOWN else sign for sign in text)


def latex(text: str) -> str:
    return "".join(LATEX.get(sign, sign) for sign in text)


def bibtex(text: str) -> str:
    """Return the value of a field, for use between braces."""
    return "".join(BIBTEX.get(sign, sign) for sign in text)


def bibtex_url(address: str) -> str:
    """Return an address for a verbatim field, without characters that would end it or start a comment."""
    return quote(address, safe=":/?#[]@!$&'()*+,;=~-._%").replace("%%", "%25%")
