# Machines that the modules refuse, and words of what they say: `nix-instantiate -A CASE.expected`,
# and `-A CASE.system`, which must fail with them.
let
  node = settings: {
    services.wamr-lab.node = {
      enable = true;
    }
    // settings;
  };
  also = settings: configuration: {
    imports = [
      (node settings)
      configuration
    ];
  };
  flake = import ./outputs.nix;
  inherit (flake.nixpkgs) lib;
  tables = import ../tables.nix { inherit lib; };
  # The shipped table with one row changed.
  rowWith =
    name: changes:
    tables
    // {
      runtimes = tables.runtimes // {
        ${name} = tables.runtimes.${name} // changes;
      };
    };
  cases = {
    more-pods-than-addresses = {
      configuration = node { podCidr = "10.88.0.0/24"; };
      expected = "podCidr = 10.88.0.0/24 has addresses for 253 pods";
    };
    more-pods-than-ports = {
      configuration = node {
        maxPods = 1200;
        podCidr = "10.88.0.0/20";
      };
      expected = "maxPods = 1200, but a Linux bridge takes 1023 ports";
    };
    no-range = {
      configuration = node { podCidr = "10.88.0.300/21"; };
      expected = "podCidr = \"10.88.0.300/21\" is no range of IPv4 addresses";
    };
    address-within-a-range = {
      configuration = node { serviceCidr = "10.96.0.1/16"; };
      expected = "serviceCidr = \"10.96.0.1/16\" is no range";
    };
    ranges-that-overlap = {
      configuration = node { serviceCidr = "10.88.4.0/24"; };
      expected = "overlap. A pod would get the address of a Service";
    };
    scrapes-too-often = {
      configuration = node { metricsServer.resolutionSeconds = 5; };
      expected = "metrics-server refuses less than 10";
    };
    absent-runtime = {
      configuration = node { runtimes = [ "shim-wasmedge" ]; };
      tables = rowWith "shim-wasmedge" { absent = "no recipe"; };
      expected = "shim-wasmedge cannot be had: no recipe. Leave it out";
    };
    too-old-for-containerd = {
      configuration = node { runtimes = [ "wamr-crun" ]; };
      tables = rowWith "wamr-crun" { containerd_newest = "2.1"; };
      expected = "wamr-crun starts under containerd up to 2.1, and this machine has 2.2.9";
    };
    runtime-without-a-package = {
      configuration = node { runtimes = [ "crun-wasmer" ]; };
      tables = rowWith "crun-wasmer" { binary = "peer:bin/crun-next"; };
      expected = "crun-wasmer needs peer:bin/crun-next, which this flake has no package for";
    };
    two-programs-for-a-handler = {
      configuration = node {
        runtimes = [
          "runc-python"
          "runc-native"
        ];
      };
      tables = rowWith "runc-native" { binary = "/usr/bin/crun"; };
      expected = "gives the handler runc another program";
    };
    two-annotations-for-a-handler = {
      configuration = node {
        runtimes = [
          "runc-python"
          "runc-native"
        ];
      };
      tables = rowWith "runc-native" { container_annotations.a = "b"; };
      expected = "or other container_annotations";
    };
    unknown-runtime = {
      configuration = node { runtimes = [ "crun-v8" ]; };
      expected = "services.wamr-lab.node.runtimes";
    };
    unknown-workload = {
      configuration = node { workloads = [ "tetris" ]; };
      expected = "services.wamr-lab.node.workloads";
    };
    pods-in-words = {
      configuration = node { maxPods = "many"; };
      expected = "is not of type `positive integer, meaning >0'";
    };
    misspelt-option = {
      configuration = node { maxPod = 100; };
      expected = "services.wamr-lab.node.maxPod";
    };
    two-cgroup-drivers = {
      configuration = also { } {
        services.wamr-lab.handlers.systemdCgroup = false;
      };
      expected = "Kubelet and containerd must use the same driver";
    };
    flannel = {
      configuration = also { } { services.kubernetes.flannel.enable = lib.mkForce true; };
      expected = "flannel gives a node 254 addresses";
    };
    swap = {
      configuration = also { } { swapDevices = [ { device = "/dev/vdb"; } ]; };
      expected = "swapDevices: a node of wamr-lab has no swap";
    };
    profile-without-a-virtual-machine = {
      configuration = node { profile = "small"; };
      expected = "this machine has no virtualisation.memorySize";
    };
    unknown-profile = {
      configuration = node { profile = "large"; };
      expected = "services.wamr-lab.node.profile";
    };
    no-shim = {
      configuration = also { runtimes = [ "shim-wasmtime" ]; } {
        services.wamr-lab.handlers.programs."peer:bin/containerd-shim-wasmtime-v1" = "/opt/shim";
      };
      expected = "/opt/shim is not the name of a shim";
    };
  };
in
builtins.mapAttrs (
  _: case:
  let
    machine = import ./machine.nix (removeAttrs case [ "expected" ]);
  in
  {
    inherit (case) expected;
    system = machine.config.system.build.toplevel.drvPath;
  }
) cases
