# What the flake and its modules come to on NixOS, where NixOS' own defaults, its test driver and
# nixpkgs' packages decide. The stand-ins compute those; a case that fails is an error.
let
  flake = import ./outputs.nix;
  inherit (flake.nixpkgs) lib legacyPackages;
  pkgs = legacyPackages.x86_64-linux;
  machine =
    configuration:
    let
      inherit (import ./machine.nix { inherit configuration; }) config;
    in
    # Without this a machine that is refused would go unnoticed.
    builtins.seq config.system.build.toplevel.drvPath config;
  node =
    settings:
    machine {
      services.wamr-lab.node = {
        enable = true;
      }
      // settings;
    };
  plain = node { };
  kubernetes = plain.services.kubernetes;
  metricsServer = node: node.systemd.services.metrics-server;
  newer = pkgs.kubernetes-metrics-server.overrideAttrs { version = "0.8.0"; };
  flag = "--kubelet-request-timeout=";
  # As containerd has it; the kubelet asks containerd for the driver of this one.
  runcOf =
    node:
    let
      inherit (node.virtualisation.containerd.settings) plugins;
    in
    plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc;
  cgroupfs = {
    cgroupDriver = "cgroupfs";
    runtimes = [ "wamr-crun" ];
  };
  sweep =
    (pkgs.testers.runNixOSTest (
      import ../../nixos-tests/sweep.nix {
        modules = flake.nixosModules;
        tables = import ../tables.nix { inherit lib; };
      }
    )).nodes.machine;
  # The word that decides stands last, in a kernel's command line as in systemd's files.
  lastOf =
    prefix: words:
    lib.foldl' (last: word: if lib.hasPrefix prefix word then word else last) "none" words;
  journald = lib.splitString "\n" sweep.services.journald.extraConfig;
  enginesOf = package: lib.filter (lib.hasPrefix "--with-") package.configureFlags;
  packages = flake.packages.x86_64-linux;
  named = machine {
    networking = {
      hostName = "Node-A";
      domain = "Example.net";
    };
    services.wamr-lab.node.enable = true;
  };

  cases = {
    # NixOS leaves the port out where an address is advertised.
    clients-have-the-port-of-the-api-server =
      lib.all (server: server == "https://api.wamr-lab.internal:6443")
        [
          kubernetes.apiserverAddress
          kubernetes.kubelet.kubeconfig.server
          kubernetes.scheduler.kubeconfig.server
          kubernetes.controllerManager.kubeconfig.server
        ];
    clients-name-what-the-certificate-has =
      kubernetes.masterAddress == "api.wamr-lab.internal"
      && lib.hasInfix "10.88.0.1 api.wamr-lab.internal" plain.networking.extraHosts;
    dns-is-off = kubernetes.kubelet.clusterDns == [ ];
    the-lab-knows-the-node-by-the-kubelets-name =
      named.services.wamr-lab.node.machine.name == "node-a.example.net";
    containerd-has-the-plugins-of-the-kubelet =
      plain.virtualisation.containerd.settings.plugins."io.containerd.grpc.v1.cri".cni.bin_dir
      == "/opt/cni/bin";

    metrics-server-of-nixpkgs-knows-its-flags =
      !lib.hasInfix flag (metricsServer plain).serviceConfig.ExecStart;
    a-newer-metrics-server-is-told-when-to-give-up =
      lib.hasInfix flag
        (metricsServer (node {
          metricsServer.package = newer;
        })).serviceConfig.ExecStart;
    # It needs certificates that take their time.
    metrics-server-starts-until-able = (metricsServer plain).unitConfig.StartLimitIntervalSec == 0;

    # A bridge has no ranges of nodes, whatever the controller manager would give out.
    a-small-range-of-pods =
      !(node {
        maxPods = 20;
        podCidr = "10.88.0.0/26";
      }).services.kubernetes.controllerManager.allocateNodeCIDRs;

    runc-follows-the-kubelets-driver =
      !(runcOf (node cgroupfs)).options.SystemdCgroup && (runcOf plain).options.SystemdCgroup;
    runc-has-a-type-without-kubernetes =
      (runcOf (machine {
        services.wamr-lab.handlers.enable = true;
      })).runtime_type == "io.containerd.runc.v2";
    runc-is-no-wrapper = !lib.hasPrefix "${pkgs.runc}/" (runcOf plain).options.BinaryName;

    a-disk-has-room = packages.node-image.passthru.config.virtualisation.diskSize == 40960;

    sweeps-take-another-memory =
      !lib.any (lib.hasInfix "memory-backend") sweep.virtualisation.qemu.options;
    sweeps-read-the-processors-clock =
      lastOf "clocksource=" sweep.boot.kernelParams == "clocksource=kvm-clock";
    sweeps-copy-no-journal = lastOf "ForwardToConsole=" journald == "ForwardToConsole=no";
    sweeps-kill-instead-of-panic = sweep.boot.kernel.sysctl."vm.panic_on_oom" == 0;

    # crun takes the first engine that it was built with.
    a-crun-has-its-engine-and-no-other =
      lib.all (engine: enginesOf packages."crun-${engine}" == [ "--with-${engine}" ])
        [
          "wamr"
          "wasmedge"
          "wasmer"
          "wasmtime"
        ];
    records-have-the-versions-of-peers =
      plain.services.wamr-lab.node.machine.image.versions.runc == pkgs.runc.version;

    the-overlay-has-an-end = (pkgs.extend flake.overlays.default).wamr-crun.pname == "wamr-crun";
    the-overlay-is-ours-alone =
      lib.attrNames (flake.overlays.default pkgs pkgs) == [
        "wamr-compile"
        "wamr-crun"
        "wamr-lab"
        "wamr-report"
      ];
  };
  wrong = lib.attrNames (lib.filterAttrs (_: holds: !holds) cases);
in
cases
// {
  # QEMU's command line, as NixOS' script of the machine has it.
  sweep-command = sweep.system.build.vm.command;
  all = if wrong == [ ] then "ok" else throw "wrong: ${lib.concatStringsSep ", " wrong}";
}
