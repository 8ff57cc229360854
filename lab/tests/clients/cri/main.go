// A client of the CRI, in the kubelet's place: `cri SOCKET VERB …` makes one call and prints what
// it brings. Specifications are JSON of the API's own types.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func main() {
	if len(os.Args) < 4 {
		fail(fmt.Errorf("usage: cri SOCKET VERB ARGUMENT…"))
	}
	connection, err := grpc.NewClient("unix://"+os.Args[1],
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	fail(err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	fail(call(ctx, cri.NewRuntimeServiceClient(connection), os.Args[2], os.Args[3:]))
}

func call(ctx context.Context, c cri.RuntimeServiceClient, verb string, arguments []string) error {
	id := arguments[0]
	switch verb {
	case "run-sandbox": // CONFIG HANDLER
		config := &cri.PodSandboxConfig{}
		fail(json.Unmarshal([]byte(id), config))
		made, err := c.RunPodSandbox(ctx,
			&cri.RunPodSandboxRequest{Config: config, RuntimeHandler: arguments[1]})
		return printed(err, made.GetPodSandboxId())
	case "create": // SANDBOX SANDBOX-CONFIG CONFIG
		sandbox, config := &cri.PodSandboxConfig{}, &cri.ContainerConfig{}
		fail(json.Unmarshal([]byte(arguments[1]), sandbox))
		fail(json.Unmarshal([]byte(arguments[2]), config))
		made, err := c.CreateContainer(ctx, &cri.CreateContainerRequest{
			PodSandboxId: id, Config: config, SandboxConfig: sandbox})
		return printed(err, made.GetContainerId())
	case "start":
		_, err := c.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: id})
		return err
	case "exec": // CONTAINER COMMAND…
		ran, err := c.ExecSync(ctx,
			&cri.ExecSyncRequest{ContainerId: id, Cmd: arguments[1:], Timeout: 30})
		if err == nil && ran.ExitCode != 0 {
			os.Stdout.Write(ran.Stdout)
			os.Exit(int(ran.ExitCode))
		}
		return printed(err, string(ran.GetStdout()))
	case "status":
		status, err := c.ContainerStatus(ctx, &cri.ContainerStatusRequest{ContainerId: id})
		said := status.GetStatus()
		return printed(err, fmt.Sprint(said.GetState(), " ", said.GetExitCode(), " ", said.GetReason()))
	case "stats":
		stats, err := c.ContainerStats(ctx, &cri.ContainerStatsRequest{ContainerId: id})
		return printed(err, fmt.Sprint(stats.GetStats().GetMemory().GetUsageBytes().GetValue()))
	case "update": // CONTAINER BYTES
		limit, err := strconv.ParseInt(arguments[1], 10, 64)
		fail(err)
		_, err = c.UpdateContainerResources(ctx, &cri.UpdateContainerResourcesRequest{
			ContainerId: id, Linux: &cri.LinuxContainerResources{MemoryLimitInBytes: limit}})
		return err
	case "stop": // CONTAINER SECONDS
		seconds, err := strconv.ParseInt(arguments[1], 10, 64)
		fail(err)
		_, err = c.StopContainer(ctx, &cri.StopContainerRequest{ContainerId: id, Timeout: seconds})
		return err
	case "remove":
		_, err := c.RemoveContainer(ctx, &cri.RemoveContainerRequest{ContainerId: id})
		return err
	case "stop-sandbox":
		_, err := c.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: id})
		return err
	case "remove-sandbox":
		_, err := c.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: id})
		return err
	}
	return fmt.Errorf("%s is no verb", verb)
}

func printed(err error, text string) error {
	if err == nil {
		fmt.Print(text)
	}
	return err
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "cri:", err)
		os.Exit(125)
	}
}
