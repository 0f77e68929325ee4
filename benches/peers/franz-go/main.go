// A pass-through on franz-go: consume, produce PEERS_FANOUT copies with key and timestamp, in transactions with the group's
// offsets. It does no work, so it shows what that client costs at least.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	partitions = 4
	batch      = 10_000
	interval   = 100 * time.Millisecond
)

type job struct {
	fanOut, tenants int
	topics          []string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	exact := env("PEERS_DELIVERY") == "exactly_once"
	options := []kgo.Opt{
		kgo.SeedBrokers(env("PEERS_BOOTSTRAP")),
		kgo.ConsumerGroup(env("PEERS_GROUP")),
		kgo.ConsumeTopics(env("PEERS_INPUT")),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(compression()),
		kgo.ProducerLinger(20 * time.Millisecond),
		kgo.MaxBufferedRecords(500_000),
		kgo.FetchMaxWait(interval),
		kgo.DisableAutoCommit(),
	}
	work := newJob()
	if exact {
		runExact(ctx, work, append(options, kgo.TransactionalID(env("PEERS_GROUP")), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets()))
	} else {
		runAtLeastOnce(ctx, work, options)
	}
}

func runExact(ctx context.Context, work *job, options []kgo.Opt) {
	session, err := kgo.NewGroupTransactSession(options...)
	check(err)
	defer session.Close()
	for ctx.Err() == nil {
		records := gather(ctx, session.PollRecords)
		if len(records) == 0 {
			continue
		}
		check(session.Begin())
		promise := kgo.AbortingFirstErrPromise(session.Client())
		for _, record := range records {
			work.copies(record, func(copy *kgo.Record) { session.Produce(context.Background(), copy, promise.Promise()) })
		}
		committed, err := session.End(context.Background(), promise.Err() == nil)
		check(err)
		if !committed {
			log.Print("a transaction was aborted; its records come again")
		}
	}
}

func runAtLeastOnce(ctx context.Context, work *job, options []kgo.Opt) {
	client, err := kgo.NewClient(options...)
	check(err)
	defer client.Close()
	for ctx.Err() == nil {
		records := gather(ctx, client.PollRecords)
		if len(records) == 0 {
			continue
		}
		promise := kgo.AbortingFirstErrPromise(client)
		for _, record := range records {
			work.copies(record, func(copy *kgo.Record) { client.Produce(context.Background(), copy, promise.Promise()) })
		}
		check(client.Flush(context.Background()))
		check(promise.Err())
		check(client.CommitRecords(context.Background(), records...))
	}
}

// gather polls until the batch is full or its interval is over.
func gather(ctx context.Context, poll func(context.Context, int) kgo.Fetches) []*kgo.Record {
	limited, cancel := context.WithTimeout(ctx, interval)
	defer cancel()
	var records []*kgo.Record
	for len(records) < batch && limited.Err() == nil {
		fetches := poll(limited, batch-len(records))
		for _, failed := range fetches.Errors() {
			if limited.Err() == nil {
				log.Fatal(failed.Err)
			}
		}
		records = append(records, fetches.Records()...)
	}
	return records
}

func newJob() *job {
	work := &job{fanOut: number("PEERS_FANOUT"), tenants: number("PEERS_TENANTS")}
	for tenant := range work.tenants {
		work.topics = append(work.topics, fmt.Sprintf("%s.t%03d.telemetry", env("PEERS_OUTPUT"), tenant))
	}
	return work
}

func (work *job) copies(record *kgo.Record, produce func(*kgo.Record)) {
	asset := 0
	for _, digit := range record.Key[1:] {
		asset = asset*10 + int(digit-'0')
	}
	for slot := range work.fanOut {
		target := (asset%work.tenants + 1 + 7*slot) % work.tenants
		produce(&kgo.Record{
			Topic:     work.topics[target],
			Partition: int32(asset / work.tenants % partitions),
			Key:       record.Key,
			Value:     record.Value,
			Timestamp: record.Timestamp,
		})
	}
}

func compression() kgo.CompressionCodec {
	if env("PEERS_COMPRESSION") == "lz4" {
		return kgo.Lz4Compression()
	}
	return kgo.NoCompression()
}

func env(name string) string {
	value, there := os.LookupEnv(name)
	if !there {
		log.Fatalf("%s is not set: start this peer by benches/peers/run", name)
	}
	return value
}

func number(name string) int {
	value, err := strconv.Atoi(env(name))
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
