// The job on Benthos, the engine of Redpanda Connect: a Bloblang mapping between a Kafka input and output on franz-go.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kgo"
)

//go:embed pipeline.yaml
var pipeline string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	check(service.RegisterBatchInput("peers_kafka", service.NewConfigSpec(), newInput))
	check(service.RegisterBatchOutput("peers_kafka", service.NewConfigSpec(), newOutput))
	shares, err := json.Marshal(readShares(ctx))
	check(err)
	yaml := strings.NewReplacer("${SHARES}", string(shares), "${PARALLEL}", env("PEERS_PARALLEL"), "${OUTPUT}", env("PEERS_OUTPUT")).Replace(pipeline)
	builder := service.NewStreamBuilder()
	check(builder.SetYAML(yaml))
	stream, err := builder.Build()
	check(err)
	if err := stream.Run(ctx); err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}

// readShares reads the table to the row that says it is whole. There is no join with a topic, so it stays as it is then.
func readShares(ctx context.Context) map[string]string {
	client, err := kgo.NewClient(kgo.SeedBrokers(env("PEERS_BOOTSTRAP")), kgo.ConsumeTopics(env("PEERS_SHARES")))
	check(err)
	defer client.Close()
	shares := map[string]string{}
	for shares["end"] == "" {
		fetches := client.PollFetches(ctx)
		check(fetches.Err())
		fetches.EachRecord(func(record *kgo.Record) { shares[string(record.Key)] = string(record.Value) })
	}
	return shares
}

func env(name string) string {
	value, there := os.LookupEnv(name)
	if !there {
		log.Fatalf("%s is not set: start this peer by benches/peers/run", name)
	}
	return value
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
