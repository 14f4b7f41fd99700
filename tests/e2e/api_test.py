"""The description of the API: docs/api.md is made from it, and a public validator accepts it."""
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import unittest

from cluster import Cluster

ROOT = pathlib.Path(__file__).resolve().parents[2]
VALIDATOR = "@redocly/cli@2.77.0"


def maker():
    spec = importlib.util.spec_from_file_location("make_api", ROOT / "docs/make_api.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class DescriptionTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with Cluster() as cluster:
            cls.text = cluster.http.get("/openapi.json").body

    def test_the_manual_is_what_is_made_from_it(self):
        made = maker().text_of(json.loads(self.text))
        kept = (ROOT / "docs/api.md").read_text()
        self.assertTrue(made == kept, "docs/api.md is old: start a scheduler, then\n"
                        "curl -s localhost:3000/openapi.json | python3 docs/make_api.py > docs/api.md")

    @unittest.skipUnless(shutil.which("npx"), "npm is not installed")
    def test_a_public_validator_accepts_it(self):
        with Cluster() as cluster:
            file = cluster.folder / "openapi.json"
            file.write_bytes(self.text)
            lint = subprocess.run(
                ["npx", "--yes", VALIDATOR, "lint", "--extends=minimal", "--format=stylish", str(file)],
                capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=240, check=False,
                cwd=cluster.folder, env={**os.environ, "REDOCLY_TELEMETRY": "off"})
            self.assertEqual(lint.returncode, 0, lint.stdout + lint.stderr)
            self.assertIn("Your API description is valid", lint.stdout + lint.stderr)


if __name__ == "__main__":
    unittest.main()
