# What the modules render for a node of the lab in namespaces: `nix-instantiate --eval --strict
# --json`. The settings below are those that any NixOS machine of that kind would need, made
# through NixOS' own options: other paths, no systemd, cgroup v1, a root without CAP_SYS_RESOURCE.
let
  pki = "/etc/wamr-lab/pki";
  programs = "/usr/local/bin";
  machine = import ./machine.nix { inherit configuration; };
  configuration = {
    networking.hostName = "lab";
    services.wamr-lab.node = {
      enable = true;
      cgroupDriver = "cgroupfs";
    };
    services.wamr-lab.handlers.programs = {
      "dist:wamr-crun" = "${programs}/wamr-crun";
      "dist:wamr-runner" = "${programs}/wamr-runner";
      "/usr/local/bin/runc" = "${programs}/runc";
      "/usr/bin/crun" = "/usr/bin/crun";
    };
    services.kubernetes.kubelet = {
      clientCaFile = "${pki}/ca.crt";
      tlsCertFile = "${pki}/kubelet-server.crt";
      tlsKeyFile = "${pki}/kubelet-server.key";
      extraConfig = {
        cgroupRoot = "/";
        failCgroupV1 = false;
        failSwapOn = false;
        makeIPTablesUtilChains = false;
        oomScoreAdj = 0;
        protectKernelDefaults = true;
        resolvConf = "/etc/resolv.conf";
      };
    };
    virtualisation.containerd.settings.plugins."io.containerd.grpc.v1.cri" = {
      restrict_oom_score_adj = true;
      cni.bin_dir = "/opt/cni/bin";
      cni.conf_dir = "/etc/cni/net.d";
    };
  };
  inherit (import ./outputs.nix) nixosConfigurations nixpkgs;
  inherit (nixpkgs) lib;
  inherit (machine) config;
  toml = import ./toml.nix { inherit lib; };
  kubelet = config.services.kubernetes.kubelet;
in
{
  "containerd.toml" = toml config.virtualisation.containerd.settings;
  # NixOS' module for the kubelet lays extraConfig over what it says itself, which is this.
  "kubelet.json" = builtins.toJSON (
    {
      kind = "KubeletConfiguration";
      apiVersion = "kubelet.config.k8s.io/v1beta1";
      authentication = {
        webhook = {
          cacheTTL = "10s";
          enabled = true;
        };
        x509.clientCAFile = kubelet.clientCaFile;
      };
      authorization.mode = "Webhook";
      tlsPrivateKeyFile = kubelet.tlsKeyFile;
      inherit (kubelet) tlsCertFile;

      containerRuntimeEndpoint = "unix:///run/containerd/containerd.sock";
      cgroupDriver = "systemd";
      hairpinMode = "hairpin-veth";
      clusterDomain = "cluster.local";
      registerNode = true;

      address = "0.0.0.0";
      port = 10250;
      healthzBindAddress = "127.0.0.1";
      healthzPort = 10248;
    }
    // kubelet.extraConfig
  );
  "runtimeclasses.json" = config.environment.etc."wamr-lab/runtimeclasses.json".text;
  # The same names as NixOS gives them.
  cni = lib.listToAttrs (
    lib.genList (
      index:
      let
        entry = lib.elemAt kubelet.cni.config index;
      in
      lib.nameValuePair "${toString (11 + index)}-${entry.type}.conf" (builtins.toJSON entry)
    ) (lib.length kubelet.cni.config)
  );
  addons = lib.attrValues config.services.kubernetes.addonManager.bootstrapAddons;
  # What the modules add to command lines, by program.
  flags = lib.mapAttrs (_: line: lib.filter (lib.hasPrefix "--") (lib.splitString " " line)) {
    kube-apiserver = config.services.kubernetes.apiserver.extraOpts;
    kube-controller-manager = config.services.kubernetes.controllerManager.extraOpts;
    kube-scheduler = config.services.kubernetes.scheduler.extraOpts;
    metrics-server = config.systemd.services.metrics-server.serviceConfig.ExecStart;
  };
  # The configuration of containerd on the flake's own machine, which has every runtime.
  "every-runtime.toml" =
    toml nixosConfigurations.node-small.config.virtualisation.containerd.settings;
  # For the reader of /etc/wamr-lab/machine.json.
  machine = config.services.wamr-lab.node.machine;
}
