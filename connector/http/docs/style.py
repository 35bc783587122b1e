"""The style sheet of the documentation page, and the policy that allows it and nothing else."""

from __future__ import annotations

import base64
import hashlib

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --link: #3558c9; --wide: 46rem; }
@media (prefers-color-scheme: dark) { :root { --link: #9db4ff; } }
* { box-sizing: border-box; }
body { margin: 0; font: 16px/1.55 system-ui, sans-serif; }
main { max-width: var(--wide); margin: 0 auto; padding: 2rem 1rem 6rem; }
h1 { font-size: 1.8rem; margin: 0 0 .3rem; }
h2 { font-size: 1.3rem; margin: 3rem 0 .3rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; }
a { color: var(--link); }
code, pre { font: .875em/1.5 ui-monospace, monospace; }
code { background: var(--soft); border-radius: 3px; padding: .1em .3em; }
pre { background: var(--soft); border-radius: 6px; padding: .8rem 1rem; overflow-x: auto; }
pre code { background: none; padding: 0; }
dl { margin: 0; }
dt { margin-top: .6rem; }
dd { margin: 0 0 0 1.2rem; }
.kind { opacity: .75; font-size: .875rem; }
.route { margin: 0 0 .6rem; }
nav ul { list-style: none; padding: 0; columns: 2 16rem; }
"""


def content_security_policy() -> str:
    """Return the header value: this style sheet, no script, no request to anywhere."""
    style = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{style}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
