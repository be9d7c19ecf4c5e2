"""Reads `cargo metadata` from standard input and holds what we link to our rules: licences that
need no more than a notice, one version of each crate, nothing but the registry as a source.

Known vulnerabilities it cannot tell: the database of advisories is not in the registry. Where
there is a network, `cargo audit` or `cargo deny check advisories` does that.
"""

import json
import re
import sys

# Each asks for a notice at the most.
LICENCES = {
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Zlib",
}


def is_free(expression):
    """Whether one of the alternatives consists of such licences only."""
    tokens = re.findall(r"\(|\)|[^()\s]+(?: WITH [^()\s]+)?", expression.replace("/", " OR "))

    def either():
        value = both()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            value = both() or value
        return value

    def both():
        value = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            value = one() and value
        return value

    def one():
        token = tokens.pop(0)
        if token != "(":
            return token in LICENCES
        value = either()
        tokens.pop(0)
        return value

    return either()


def main():
    packages = json.load(sys.stdin)["packages"]
    wrong, versions = [], {}
    for package in packages:
        name, version = package["name"], package["version"]
        versions.setdefault(name, []).append(version)
        if not is_free(package["license"] or "none"):
            wrong.append(f"{name} {version}: licence {package['license']}")
        source = package["source"]
        if source is not None and not source.startswith("registry+"):
            wrong.append(f"{name} {version}: from {source}")
    for name, found in versions.items():
        if len(found) > 1:
            wrong.append(f"{name}: {len(found)} versions, {', '.join(found)}")
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    if not wrong:
        print(f"{len(packages)} crates: licences, versions and sources are in order; "
              "advisories are not looked up")
    return 1 if wrong else 0


assert is_free("(MIT OR GPL-3.0-only) AND Unicode-3.0") and not is_free("MIT AND GPL-3.0-only")
assert is_free("Unlicense OR MIT") and not is_free("LGPL-2.1-or-later") and not is_free("none")
sys.exit(main())
