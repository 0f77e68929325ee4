package main

import (
	"context"
	"time"

	"github.com/redpanda-data/benthos/v4/public/service"
	"github.com/twmb/franz-go/pkg/kgo"
)

// input gives each poll as one batch, and commits it when it is acknowledged.
type input struct{ client *kgo.Client }

func newInput(*service.ParsedConfig, *service.Resources) (service.BatchInput, error) {
	return service.AutoRetryNacksBatched(&input{}), nil
}

func (in *input) Connect(context.Context) error {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(env("PEERS_BOOTSTRAP")),
		kgo.ConsumerGroup(env("PEERS_GROUP")),
		kgo.ConsumeTopics(env("PEERS_INPUT")),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
	)
	in.client = client
	return err
}

func (in *input) ReadBatch(ctx context.Context) (service.MessageBatch, service.AckFunc, error) {
	fetches := in.client.PollRecords(ctx, 2000)
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	records := fetches.Records()
	batch := make(service.MessageBatch, 0, len(records))
	for _, record := range records {
		message := service.NewMessage(record.Value)
		message.MetaSetMut("kafka_key", string(record.Key))
		message.MetaSetMut("kafka_timestamp_ms", record.Timestamp.UnixMilli())
		batch = append(batch, message)
	}
	return batch, func(ctx context.Context, err error) error { return in.client.CommitRecords(ctx, records...) }, nil
}

func (in *input) Close(context.Context) error {
	in.client.Close()
	return nil
}

// output writes each batch to the topics and keys that its messages name.
type output struct{ client *kgo.Client }

func newOutput(*service.ParsedConfig, *service.Resources) (service.BatchOutput, service.BatchPolicy, int, error) {
	return &output{}, service.BatchPolicy{}, 1, nil
}

func (out *output) Connect(context.Context) error {
	codec := kgo.NoCompression()
	if env("PEERS_COMPRESSION") == "lz4" {
		codec = kgo.Lz4Compression()
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(env("PEERS_BOOTSTRAP")),
		kgo.ProducerBatchCompression(codec),
		kgo.ProducerLinger(20*time.Millisecond),
		kgo.MaxBufferedRecords(500_000),
	)
	out.client = client
	return err
}

func (out *output) WriteBatch(ctx context.Context, batch service.MessageBatch) error {
	records := make([]*kgo.Record, 0, len(batch))
	for _, message := range batch {
		value, err := message.AsBytes()
		if err != nil {
			return err
		}
		topic, _ := message.MetaGet("topic")
		key, _ := message.MetaGet("key")
		timestamp, _ := message.MetaGetMut("kafka_timestamp_ms")
		records = append(records, &kgo.Record{Topic: topic, Key: []byte(key), Value: value, Timestamp: time.UnixMilli(timestamp.(int64))})
	}
	return out.client.ProduceSync(ctx, records...).FirstErr()
}

func (out *output) Close(context.Context) error {
	out.client.Close()
	return nil
}
