// A service in Go: says when it started, works through requests as such services do, and waits.
//
// A request is a JSON document that is decoded, checked by a regular expression, changed and encoded
// again. An argument, else 2000, says how many. Prints how long that took and a checksum, which
// depends on their number alone; with the argument `stay` it then waits to be stopped.
package main

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

type order struct {
	ID       int               `json:"id"`
	Customer string            `json:"customer"`
	Email    string            `json:"email"`
	Items    []item            `json:"items"`
	Labels   map[string]string `json:"labels"`
	Total    int               `json:"total"`
}

type item struct {
	Name  string `json:"name"`
	Cents int    `json:"cents"`
	Count int    `json:"count"`
}

const request = `{"id":%d,"customer":"Customer %d","email":"user%d@mail.example.org","items":[` +
	`{"name":"bolt","cents":12,"count":40},{"name":"nut","cents":7,"count":%d},` +
	`{"name":"washer \u00d8 8","cents":3,"count":120}],"labels":{"region":"north","tier":"gold"}}`

var address = regexp.MustCompile(`^([a-z0-9._-]+)@(([a-z0-9-]+\.)+[a-z]{2,})$`)

func answer(number int) ([]byte, error) {
	var one order
	text := fmt.Sprintf(request, number, number, number, number%50)
	if err := json.Unmarshal([]byte(text), &one); err != nil {
		return nil, err
	}
	parts := address.FindStringSubmatch(one.Email)
	if parts == nil {
		return nil, fmt.Errorf("%q is no address", one.Email)
	}
	one.Labels["domain"] = parts[2]
	for _, item := range one.Items {
		one.Total += item.Cents * item.Count
	}
	return json.Marshal(one)
}

func main() {
	fmt.Printf("start_ns=%d\n", time.Now().UnixNano())
	// PID 1 gets no signal that it has no handler for. WASI has no signals, and Go waits for one in a
	// loop there: the runtime ends the guest.
	stop := make(chan os.Signal, 1)
	if runtime.GOOS != "wasip1" {
		signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	}
	requests, stay := 2000, false
	for _, argument := range os.Args[1:] {
		if argument == "stay" {
			stay = true
			continue
		}
		number, err := strconv.Atoi(argument)
		if err != nil || number < 0 {
			fmt.Fprintf(os.Stderr, "%s: is no number of requests\n", argument)
			os.Exit(2)
		}
		requests = number
	}
	begin, checksum := time.Now(), uint32(0)
	for number := range requests {
		answer, err := answer(number)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		checksum = crc32.Update(checksum, crc32.IEEETable, answer)
	}
	fmt.Printf("duration_ns=%d\nchecksum=%08x\n", time.Since(begin).Nanoseconds(), checksum)
	for stay {
		select {
		case <-stop:
			os.Exit(0)
		case <-time.After(time.Hour):
		}
	}
}
