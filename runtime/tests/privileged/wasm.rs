//! Wasm containers with the real runner.

use super::container::Container;
use super::wasm_guest::{compiled, container, guest};
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// `proc_exit(status)` as a module, written by hand.
pub fn exits(status: u8) -> Vec<u8> {
    // i32.const takes a signed LEB128: two bytes hold every status.
    module(&[0x41, status & 0x7f | 0x80, status >> 7, 0x10, 0])
}

/// A module that never ends: `loop br 0 end`.
pub fn loops() -> Vec<u8> {
    module(&[0x03, 0x40, 0x0c, 0, 0x0b])
}

/// A module whose `_start` is `code`; function 0 is `proc_exit`.
fn module(code: &[u8]) -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    let mut section = |id: u8, content: &[u8]| {
        module.extend([id, content.len() as u8]);
        module.extend(content);
    };
    section(1, &[2, 0x60, 1, 0x7f, 0, 0x60, 0, 0]); // types: (i32) -> (), () -> ()
    let mut import = vec![1, 22];
    import.extend(b"wasi_snapshot_preview1");
    import.push(9);
    import.extend(b"proc_exit");
    import.extend([0, 0]);
    section(2, &import);
    section(3, &[1, 1]);
    section(5, &[1, 0, 1]);
    let mut export = vec![2, 6];
    export.extend(b"_start");
    export.extend([0, 1, 6]);
    export.extend(b"memory");
    export.extend([2, 0]);
    section(7, &export);
    let mut body = vec![1, code.len() as u8 + 2, 0];
    body.extend(code);
    body.push(0x0b);
    section(10, &body);
    module
}

#[test]
fn exit_codes_of_modules() {
    for status in [0, 1, 42, 255] {
        let Some(mut container) = container() else { return };
        fs::write(container.rootfs().join("m.wasm"), exits(status)).unwrap();
        container.set("/process/args", json!(["/m.wasm"]));
        let ran = container.run();
        assert_eq!(ran.status, i32::from(status), "{ran:?}");
        container.assert_gone();
    }
}

#[test]
fn modules_are_found_like_programs() {
    for (name, cwd, path) in [
        ("/app/m.wasm", "/", "/bin"),
        ("m.wasm", "/app", "/bin"),
        ("./m.wasm", "/app", "/bin"),
        ("m.wasm", "/", "/bin:/app"),
    ] {
        let Some(mut container) = container() else { return };
        fs::create_dir(container.rootfs().join("app")).unwrap();
        fs::write(container.rootfs().join("app/m.wasm"), exits(7)).unwrap();
        container.set("/process/args", json!([name]));
        container.set("/process/cwd", json!(cwd));
        container.set("/process/env", json!([format!("PATH={path}")]));
        let ran = container.run();
        assert_eq!(ran.status, 7, "{name} {cwd} {path}: {ran:?}");
    }
}

#[test]
fn a_root_without_proc_and_a_read_only_root() {
    let Some(mut container) = container() else { return };
    fs::write(container.rootfs().join("m.wasm"), exits(5)).unwrap();
    container.set("/process/args", json!(["/m.wasm"]));
    container.set("/mounts", json!([]));
    container.set("/root/readonly", json!(true));
    container.set("/process/user", json!({"uid": 1000, "gid": 1000}));
    let ran = container.run();
    assert_eq!(ran.status, 5, "{ran:?}");
}

#[test]
fn annotations_decide() {
    for (name, value, file, want) in [
        ("run.oci.handler", "wasm", "\0asm\x01\0\0\0", "runner"),
        ("run.oci.handler", "wasm", "\x7fELF", "no WebAssembly module"),
        ("module.wasm.image/variant", "compat", "#!/x", "no WebAssembly module"),
        ("run.oci.handler", "wasmedge", "\0asm\x01\0\0\0", "wasmedge"),
        ("x", "y", "\0asm\x0d\0\x01\0", "component"),
        ("org.wamr-crun.wasm.stack-bytes", "many", "\0asm\x01\0\0\0", "stack-bytes"),
    ] {
        let Some(mut container) = container() else { return };
        fs::write(container.rootfs().join("m.wasm"), file).unwrap();
        container.set("/process/args", json!(["/m.wasm"]));
        container.set("/annotations", json!({name: value}));
        if want == "runner" {
            fs::remove_file(container.bundle.path().join("bin/wamr-runner")).unwrap();
        }
        let failed = container.create(&[]);
        assert_ne!(failed.status, 0, "{name} = {value}");
        assert!(failed.stderr.contains(want), "{failed:?}");
        container.assert_gone();
    }
}

#[test]
fn a_guest_sees_args_env_and_mounts() {
    let Some(mut container) = talking() else { return };
    container.set("/process/args", json!(["/guest.wasm", "one", "two words"]));
    container.set("/process/env", json!(["NAME=value", "EMPTY="]));
    let ran = container.run();
    assert_eq!(ran.stdout, "/guest.wasm|one|two words|value|from a mount|", "{ran:?}");
    assert_eq!(ran.status, 3, "{ran:?}");
}

/// A container whose guest says what it was given, and what it reads from a mount.
pub fn talking() -> Option<Container> {
    let mut container = compiled(&guest("talk.c"))?;
    let data = container.bundle.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("f"), "from a mount").unwrap();
    container.push(
        "/mounts",
        json!({"destination": "/data", "type": "bind", "source": data, "options": ["rbind"]}),
    );
    Some(container)
}

#[test]
fn native_programs_stay_native_beside_wasm() {
    const HANDLER: &str = "run.oci.handler";
    const VARIANT: &str = "module.wasm.image/variant";
    const SANDBOX: &str = "io.kubernetes.cri.container-type";
    for annotations in [
        json!({}),
        json!({HANDLER: "wasm-smart"}),
        json!({VARIANT: "compat-smart"}),
        json!({HANDLER: "wasm-smart", VARIANT: "compat-smart"}),
        json!({SANDBOX: "sandbox", HANDLER: "wasm", VARIANT: "compat"}),
        json!({SANDBOX: "sandbox", HANDLER: "a-handler-of-another-runtime"}),
    ] {
        // A program and a script; then a module by the side of the same annotations.
        for args in [json!(["/bin/echo", "native"]), json!(["/script"])] {
            let Some(mut container) = container() else { return };
            if !container.add_busybox() {
                return super::container::skip("busybox is not installed");
            }
            let script = container.rootfs().join("script");
            fs::write(&script, "#!/bin/sh\necho native\n").unwrap();
            fs::set_permissions(script, fs::Permissions::from_mode(0o755)).unwrap();
            container.set("/annotations", annotations.clone());
            container.set("/process/args", args.clone());
            let ran = container.run();
            assert_eq!((ran.status, ran.stdout.as_str()), (0, "native\n"), "{annotations} {args}");
        }
        let Some(mut container) = container() else { return };
        fs::write(container.rootfs().join("m.wasm"), exits(9)).unwrap();
        let module = container.rootfs().join("m.wasm");
        fs::set_permissions(module, fs::Permissions::from_mode(0o755)).unwrap();
        container.set("/annotations", annotations.clone());
        container.set("/process/args", json!(["/m.wasm"]));
        // A sandbox is native whatever it holds, and the kernel knows no modules.
        let want = if annotations.get(SANDBOX).is_some() { 255 } else { 9 };
        let ran = container.run();
        assert_eq!(ran.status, want, "{annotations}: {ran:?}");
    }
}

#[test]
fn a_trap_is_134_with_its_text() {
    let Some(mut container) = container() else { return };
    fs::write(container.rootfs().join("m.wasm"), module(&[0x00])).unwrap();
    container.set("/process/args", json!(["/m.wasm"]));
    let ran = container.run();
    assert_eq!(ran.status, 134, "{ran:?}");
    assert_eq!(ran.stderr, "wamr-runner: Exception: unreachable\n    at function 1\n");
    container.assert_gone();
}

#[test]
fn too_few_descriptors_for_a_guest_fail_the_create() {
    for (limit, want) in [(3, "too many open files"), (16, "too many open files"), (64, "")] {
        let Some(mut container) = container() else { return };
        fs::write(container.rootfs().join("m.wasm"), exits(7)).unwrap();
        container.set("/process/args", json!(["/m.wasm"]));
        let limits = json!([{"type": "RLIMIT_NOFILE", "soft": limit, "hard": limit}]);
        container.set("/process/rlimits", limits);
        let ran = container.run();
        assert_eq!(ran.status, if want.is_empty() { 7 } else { 1 }, "{limit}: {ran:?}");
        assert!(ran.stderr.contains(want), "{limit}: {ran:?}");
        container.assert_gone();
    }
}
