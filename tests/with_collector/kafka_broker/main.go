// Kafka as the tests with the Collector need it: one broker on loopback that speaks Kafka's
// protocol and keeps its data in a folder.
//
//	kafka-test-broker PORT FOLDER [CERTIFICATE KEY USERNAME PASSWORD]
//
// With four more arguments it speaks TLS and lets only that user in (SASL/SCRAM-SHA-512). Topics
// have four partitions. It ends with its standard input.
package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/twmb/franz-go/pkg/kfake"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) != 2 && len(arguments) != 6 {
		return fmt.Errorf("expected 2 or 6 arguments, found %d", len(arguments))
	}
	port, err := strconv.Atoi(arguments[0])
	if err != nil {
		return err
	}
	options := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.Ports(port),
		kfake.DataDir(arguments[1]),
		kfake.SyncWrites(),
		kfake.SeedTopics(4, "petsard.traces", "petsard.metrics", "petsard.logs"),
	}
	if len(arguments) == 6 {
		certificate, err := tls.LoadX509KeyPair(arguments[2], arguments[3])
		if err != nil {
			return err
		}
		options = append(
			options,
			kfake.TLS(&tls.Config{Certificates: []tls.Certificate{certificate}}),
			kfake.EnableSASL(),
			kfake.Superuser("SCRAM-SHA-512", arguments[4], arguments[5]),
		)
	}
	broker, err := kfake.NewCluster(options...)
	if err != nil {
		return err
	}
	defer broker.Close()
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
