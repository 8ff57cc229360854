# smoke.py on a NixOS machine: containerd, Kubernetes, ten Wasm and ten Python pods, the report.
{ modules }:
{
  name = "wamr-lab-smoke";
  globalTimeout = 5400;
  nodes.machine = {
    imports = [ modules.node ];
    services.wamr-lab.node = {
      enable = true;
      maxPods = 50;
      metricsServer.resolutionSeconds = 10;
    };
    virtualisation = {
      cores = 2;
      memorySize = 4096;
      diskSize = 8192;
    };
  };
  testScript = builtins.readFile ./smoke.py;
}
