//! A real Kubernetes API server, from Debian's source package: built once, kept beside the tests' other tools.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::host;
use crate::workspace::{Workspace, quiet};

/// What the build and its test need from Debian.
const PACKAGES: &[(&str, &str)] = &[
    ("golang-go", "go"),
    ("dpkg-dev", "dpkg-source"),
    ("etcd-server", "etcd"),
    ("kubernetes-client", "kubectl"),
    ("golang-github-modern-go-reflect2-dev", REFLECT),
];

/// The package's own copy of this library crashes under Debian's Go.
const REFLECT: &str = "/usr/share/gocode/src/github.com/modern-go/reflect2";

/// Runs in the folder of the source. The package leaves the descriptions of its API out, so they are made first, as its own
/// makefile does it, over the packages that ask for it.
const BUILD: &str = r#"
set -eu
mkdir -p ../go/src/k8s.io
ln -sfn "$PWD" ../go/src/k8s.io/kubernetes
export GOPATH="$PWD/../go" GO111MODULE=off CGO_ENABLED=0 GOCACHE="$PWD/../gocache" HOME="$PWD/.."
cd ../go/src/k8s.io/kubernetes
old=vendor/github.com/modern-go/reflect2
rm -f "$old"/*.go "$old"/*.s
cp "$REFLECT"/*.go "$REFLECT"/*.s "$old"
go build -o ../openapi-gen ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
packages=$(grep -rlE '^// *\+k8s:openapi-gen=' --include='*.go' pkg staging/src/k8s.io |
  grep -vE 'generated|_examples|/testdata/|sample-|code-generator|kube-openapi|gengo' |
  xargs -n1 dirname | sed 's#^staging/src/##; s#^pkg/#k8s.io/kubernetes/pkg/#' | sort -u | paste -sd,)
../openapi-gen -i "$packages" -p k8s.io/kubernetes/pkg/generated/openapi -O zz_generated.openapi \
  -h hack/boilerplate/boilerplate.generatego.txt -r /dev/null -o "$GOPATH/src"
go build -o ../../kube-apiserver ./cmd/kube-apiserver
"#;

/// The server's program; some ten minutes where it was not built yet.
///
/// # Errors
/// When Debian's packages cannot be had, or it does not build.
pub(crate) fn api_server(workspace: &Workspace) -> Result<PathBuf, String> {
    host::debian(PACKAGES)?;
    let folder = workspace.cache.join("kube");
    let program = folder.join("go/src/kube-apiserver");
    if program.exists() {
        return Ok(program);
    }
    println!("building kube-apiserver from Debian's source");
    std::fs::create_dir_all(folder.join("lists/partial"))
        .map_err(|e| format!("{}: {e}", folder.display()))?;
    let list = folder.join("src.list");
    std::fs::write(&list, sources()?).map_err(|e| format!("{}: {e}", list.display()))?;
    for what in [&["update"][..], &["source", "kubernetes"]] {
        let mut apt = Command::new("apt-get");
        apt.arg("-q").arg("-o").arg(format!("Dir::Etc::SourceList={}", list.display()));
        apt.args(["-o", "Dir::Etc::SourceParts=/dev/null", "-o", "APT::Sandbox::User=root"]);
        apt.arg("-o").arg(format!("Dir::State::Lists={}", folder.join("lists").display()));
        quiet(apt.args(what).current_dir(&folder))?;
    }
    let mut build = Command::new("sh");
    quiet(build.args(["-c", BUILD]).env("REFLECT", REFLECT).current_dir(unpacked(&folder)?))?;
    Ok(program)
}

/// The archive that this machine has its own packages from, with sources.
fn sources() -> Result<String, String> {
    let mut apt = Command::new("apt-get");
    apt.args(["indextargets", "--format", "deb-src $(REPO_URI) $(CODENAME) main"]);
    let all =
        quiet(apt.args(["Origin: Debian", "Label: Debian", "Component: main", "Identifier: Packages"]))?;
    let first = all.lines().find(|l| !l.contains("-updates") && !l.contains("-backports"));
    Ok(format!("{}\n", first.ok_or("apt knows no archive of Debian's own")?))
}

fn unpacked(folder: &Path) -> Result<PathBuf, String> {
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    entries
        .flatten()
        .map(|e| e.path())
        .find(|p| p.join("cmd/kube-apiserver").is_dir())
        .ok_or_else(|| "Debian's source package of kubernetes was not unpacked".to_owned())
}
