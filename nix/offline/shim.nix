# containerd-shim-wamr-crun-v1 as a handler beside that of wamr-crun, both from the same package. A
# case that fails is an error.
let
  flake = import ./outputs.nix;
  inherit (flake.nixpkgs) lib;
  program = "dist:containerd-shim-wamr-crun-v1";
  place = "/opt/bin/containerd-shim-wamr-crun-v1";
  configured =
    handlers:
    let
      machine = import ./machine.nix {
        configuration = {
          services.wamr-lab.handlers = handlers;
          services.wamr-lab.node.enable = true;
        };
      };
      inherit (machine.config.virtualisation.containerd) settings;
    in
    # Without this a machine that is refused would go unnoticed.
    builtins.seq machine.config.system.build.toplevel.drvPath {
      inherit (settings.plugins."io.containerd.grpc.v1.cri".containerd) runtimes;
      classes = machine.config.services.wamr-lab.handlers.runtimeClasses;
      addons = machine.config.services.kubernetes.addonManager.bootstrapAddons;
    };
  both = configured {
    runtimes = lib.mkForce [
      "wamr-crun"
      "wamr-shim"
    ];
  };
  elsewhere = configured {
    runtimes = lib.mkForce [ "wamr-shim" ];
    programs.${program} = place;
  };
  handler = both.runtimes.wamr;
  cases = {
    containerd-runs-the-shim = handler.runtime_type == "io.containerd.wamr-crun.v1";
    the-runtime-is-beside-it =
      dirOf handler.runtime_path == dirOf both.runtimes.wamr-crun.options.BinaryName;
    annotations-arrive =
      handler.pod_annotations == both.runtimes.wamr-crun.pod_annotations
      && handler.container_annotations == both.runtimes.wamr-crun.container_annotations;
    # containerd would have to know of which type they are.
    no-options = !handler ? options;
    containerds-own-shim-for-the-other =
      both.runtimes.wamr-crun.runtime_type == "io.containerd.runc.v2";
    a-class = both.classes.wamr.handler == "wamr";
    the-class-is-applied = both.addons ? wamr-lab-runtimeclass-wamr;
    only-if-wanted = !(configured { }).runtimes ? wamr;
    another-program = elsewhere.runtimes.wamr.runtime_path == place;
  };
  wrong = lib.attrNames (lib.filterAttrs (_: holds: !holds) cases);
in
if wrong == [ ] then "ok" else throw "wrong: ${lib.concatStringsSep ", " wrong}"
