# What a node could not work with, said before anything is built.
{ config, lib, ... }:
let
  cfg = config.services.wamr-lab.node;
  inherit (config.services.wamr-lab) handlers;
  ipv4 = import ../ipv4.nix { inherit lib; };
  pods = ipv4.parse cfg.podCidr;
  services = ipv4.parse cfg.serviceCidr;
  # The range's first and last address are nobody's, and one is the node's.
  room = if pods == null then 0 else pods.size - 3;
  # Source: BR_MAX_PORTS in the kernel's net/bridge/br_private.h is 1 << BR_PORT_BITS, 10 bits; a
  # port has a number from 1 on.
  bridgePorts = 1023;
  isRange = name: range: {
    assertion = range != null;
    message =
      "services.wamr-lab.node.${name} = \"${cfg.${name}}\" is no range of IPv4 addresses with its"
      + " first address in front, like \"10.88.0.0/21\".";
  };
in
lib.mkIf cfg.enable {
  assertions = [
    (isRange "podCidr" pods)
    (isRange "serviceCidr" services)
    {
      assertion = pods == null || cfg.maxPods <= room;
      message =
        "services.wamr-lab.node.maxPods = ${toString cfg.maxPods}, but podCidr = ${cfg.podCidr} has"
        + " addresses for ${toString room} pods. Later ones would be admitted and never get an"
        + " address: take a shorter prefix (/21 has room for 2045), or fewer pods.";
    }
    {
      assertion = cfg.maxPods <= bridgePorts;
      message =
        "services.wamr-lab.node.maxPods = ${toString cfg.maxPods}, but a Linux bridge takes"
        + " ${toString bridgePorts} ports, one for each pod.";
    }
    {
      assertion = pods == null || services == null || !ipv4.overlap pods services;
      message =
        "services.wamr-lab.node: podCidr = ${cfg.podCidr} and serviceCidr = ${cfg.serviceCidr}"
        + " overlap. A pod would get the address of a Service.";
    }
    {
      assertion = cfg.metricsServer.resolutionSeconds >= 10;
      message =
        "services.wamr-lab.node.metricsServer.resolutionSeconds ="
        + " ${toString cfg.metricsServer.resolutionSeconds}: metrics-server refuses less than 10,"
        + " and gives up on a kubelet after 5.";
    }
    {
      assertion = !config.services.kubernetes.flannel.enable;
      message =
        "services.kubernetes.flannel.enable: the node has a bridge of its own for its pods, and"
        + " flannel gives a node 254 addresses. Leave it off.";
    }
    {
      assertion = config.swapDevices == [ ];
      message =
        "swapDevices: a node of wamr-lab has no swap. Memory that moves there is in no figure, and"
        + " the kubelet does not start.";
    }
    {
      assertion = handlers.systemdCgroup == (cfg.cgroupDriver == "systemd");
      message =
        "services.wamr-lab.handlers.systemdCgroup contradicts services.wamr-lab.node.cgroupDriver ="
        + " \"${cfg.cgroupDriver}\". Kubelet and containerd must use the same driver: set only the"
        + " latter.";
    }
  ];
}
