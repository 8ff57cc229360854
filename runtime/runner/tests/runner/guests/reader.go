// Waits for standard input in one goroutine while another goes on, then uses relative paths.
package main

import (
	"os"
	"time"
)

func main() {
	came := make(chan string)
	go func() {
		bytes := make([]byte, 64)
		count, err := os.Stdin.Read(bytes)
		if err != nil {
			fail(err)
		}
		came <- string(bytes[:count])
	}()
	for range 3 {
		time.Sleep(10 * time.Millisecond)
	}
	os.Stdout.WriteString("went on\n")
	os.Stdout.WriteString(<-came)
	content, err := os.ReadFile("input")
	if err != nil {
		fail(err)
	}
	if err := os.WriteFile("output", content, 0o644); err != nil {
		fail(err)
	}
	if _, err := os.ReadFile("/input"); !os.IsNotExist(err) {
		fail(err)
	}
	directory, err := os.Getwd()
	if err != nil {
		fail(err)
	}
	os.Stdout.WriteString(directory + "\n")
}

func fail(err error) {
	os.Stderr.WriteString(err.Error())
	os.Exit(1)
}
