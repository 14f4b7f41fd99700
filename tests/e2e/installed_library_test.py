"""The libraries as they are installed: headers that stand alone, both ways to find them, and the
example of examples/library, built with nothing but the installation, making 1,000 thumbnails."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from cluster import Cluster

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["CLUSTERD_BUILD"])


def run(*command, timeout=600, **more):
    result = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False,
                            **more)
    if result.returncode != 0:
        raise AssertionError(f"{command}: {result.returncode}\n{result.stdout[-4000:]}"
                             f"\n{result.stderr[-8000:]}")
    return result


class InstalledLibraryTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not (BUILD / "clusterd-client.pc").exists():
            raise unittest.SkipTest("this build has no libraries to install")
        run("cmake", "--build", str(BUILD), "--target", "libraries")
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.prefix = cls.folder / "prefix"
        run("cmake", "--install", str(BUILD), "--component", "development", "--prefix",
            str(cls.prefix))
        cls.packages = next(cls.prefix.rglob("clusterd-client.pc")).parent

    def pkg_config(self, *words):
        answer = run("pkg-config", *words, env={**os.environ, "PKG_CONFIG_PATH": str(self.packages)})
        return answer.stdout.split()

    def test_each_header_compiles_alone(self):
        headers = sorted((self.prefix / "include").glob("clusterd-*/clusterd/*.h"))
        self.assertGreaterEqual({header.name for header in headers},
                                {"client.h", "worker.h", "version.h", "job_states.h", "job_tasks.h"})
        for header in headers:
            self.assertNotIn("grpc", header.read_text().replace("gRPC", ""))
            source = self.folder / "alone.cc"
            source.write_text(f'#include "clusterd/{header.name}"\n')
            run("c++", "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-isystem",
                str(header.parents[1]), str(source))

    def test_versions_agree(self):
        header = next((self.prefix / "include").glob("clusterd-*/clusterd/version.h")).read_text()
        words = [line.split()[2] for line in header.splitlines() if line.startswith("#define")]
        self.assertEqual(".".join(words), self.pkg_config("--modversion", "clusterd-client")[0])
        said = run(os.environ["CLUSTERD"], "--version").stdout
        self.assertIn(".".join(words), said)

    def test_pkg_config_is_enough_to_link_a_client(self):
        source = self.folder / "tiny.cc"
        source.write_text('#include "clusterd/client.h"\n'
                          "int main() { return clusterd::Client::make({}).ok() ? 0 : 1; }\n")
        run("c++", str(source), "-o", str(self.folder / "tiny"),
            *self.pkg_config("--cflags", "clusterd-client"),
            *self.pkg_config("--libs", "clusterd-client"))
        run(str(self.folder / "tiny"))

    def test_the_example_is_built_with_cmake_alone_and_makes_a_thousand_thumbnails(self):
        source = self.folder / "example"
        shutil.copytree(ROOT / "examples" / "library", source)
        build = self.folder / "build"
        run("cmake", "-S", str(source), "-B", str(build), f"-DCMAKE_PREFIX_PATH={self.prefix}")
        run("cmake", "--build", str(build))
        with Cluster() as cluster:
            worker = subprocess.Popen(
                [str(build / "thumbnail_worker"), str(cluster.folder / "data"), cluster.grpc_address],
                cwd=cluster.folder, stderr=subprocess.DEVNULL)
            try:
                cluster.wait_for_worker("thumbnails", "ALIVE")
                made = run(str(build / "make_thumbnails"), str(cluster.folder / "pictures"), "1000",
                           env={**os.environ, "CLUSTERD_ADDR": cluster.grpc_address}, timeout=120)
            finally:
                worker.terminate()
                self.assertEqual(worker.wait(timeout=30), 0)
            self.assertRegex(made.stdout, r"1000 thumbnails in .* s\na sheet of 1000\n")
            self.assertRegex(made.stderr, r"\d+ of 1000")
            thumbnails = list((cluster.folder / "pictures" / "thumbnails").glob("*.png"))
            self.assertEqual(len(thumbnails), 1000)
            self.assertTrue((cluster.folder / "pictures" / "sheet.png").stat().st_size > 1000)


if __name__ == "__main__":
    unittest.main()
