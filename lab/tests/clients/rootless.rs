//! Podman as a user who is not root: the runtime in a user namespace, without control groups.

use crate::boxed::Machine;
use crate::image::Kind;

const SETUP: &str = "useradd --create-home --shell /bin/bash tester
install -d -o tester -m 700 /run/user/1000
mknod -m 666 /dev/net_tun c 10 200 || true";

/// Run, status, standard input, exec, stop.
pub fn scenario(machine: &Machine) {
    machine.done(&["sh", "-c", SETUP]);
    let podman = |words: &[&str]| {
        let before = ["setpriv", "--reuid=1000", "--regid=1000", "--init-groups", "env"];
        let home = ["HOME=/home/tester", "XDG_RUNTIME_DIR=/run/user/1000", "podman"];
        let flags = [
            "--cgroup-manager=cgroupfs",
            // Overlay cannot be had over the box's overlay, and what Podman takes by itself turns
            // on the folders that the command before has left.
            "--storage-driver=vfs",
            "--runtime=/opt/wamr/wamr-crun",
        ];
        let all = before.iter().chain(&home).chain(&flags).chain(words);
        machine.run(&all.copied().collect::<Vec<_>>())
    };
    for kind in Kind::ALL {
        let image = kind.reference();
        let said = podman(&["load", "-q", "-i", &kind.archive()]);
        assert_eq!(said.code, 0, "{said:?}");
        let short = ["run", "--rm", "--network=none", "--env=SAID=user", &image, "exit", "7"];
        let said = podman(&short);
        assert_eq!((said.code, said.out.as_str()), (7, "hello user\n"), "{kind:?}: {said:?}");
        let said = podman(&["run", "-d", "--name=c", "--network=none", &image, "serve"]);
        assert_eq!(said.code, 0, "{said:?}");
        let said = podman(&["exec", "c", "/bin/echo", "beside"]);
        assert_eq!(said.out, "beside\n", "{said:?}");
        let said = podman(&["stop", "--time=20", "c"]);
        assert_eq!(said.code, 0, "{said:?}");
        let said = podman(&["inspect", "--format", "{{.State.ExitCode}}", "c"]);
        assert_eq!(said.out.trim(), "143", "{said:?}");
        let said = podman(&["rm", "c"]);
        assert_eq!(said.code, 0, "{said:?}");
    }
}
