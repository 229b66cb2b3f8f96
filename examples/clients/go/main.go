// Reads messages and cancellations, prints what it would send, says on message.feedback what became of each.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	"example/sender/attune"

	"github.com/twmb/franz-go/pkg/kgo"
)

const settle = time.Second // cancellations that already lie in Kafka are read first

var (
	prefix    = setting("PREFIX", "")
	channel   = setting("CHANNEL", "email")
	cancelled = map[string]bool{}
	seen      = map[string]bool{} // in production: on disk, for longer than a week
	waiting   []attune.Message
	newest    time.Time
)

func main() {
	answers, err := strconv.Atoi(setting("ANSWERS", "0"))
	check(err)
	client, err := kgo.NewClient( // the default partitioner is murmur2, as Java's
		kgo.SeedBrokers(strings.Split(setting("BROKERS", "localhost:9092"), ",")...),
		kgo.ConsumerGroup(prefix+"go-sender-"+channel),
		kgo.ConsumeTopics(prefix+"messages."+channel, prefix+"message.cancellations"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), // the default shows what was never decided
	)
	check(err)
	defer client.Close()
	for given := 0; answers == 0 || given < answers; {
		ctx, stop := context.WithTimeout(context.Background(), 100*time.Millisecond)
		fetches := client.PollFetches(ctx)
		stop()
		fetches.EachRecord(read)
		now := time.Now().UTC()
		if now.Before(newest.Add(settle)) {
			continue
		}
		var later []attune.Message
		for _, message := range waiting {
			if now.Before(instant(message.SendAt)) {
				later = append(later, message)
				continue
			}
			value, err := json.Marshal(deliver(message, now))
			check(err)
			record := &kgo.Record{Topic: prefix + "message.feedback", Key: []byte(message.UserId), Value: value}
			check(client.ProduceSync(context.Background(), record).FirstErr())
			given++
		}
		waiting = later
	}
}

func read(record *kgo.Record) {
	if record.Topic == prefix+"message.cancellations" {
		var cancellation attune.Cancellation
		check(json.Unmarshal(record.Value, &cancellation))
		known(cancellation.SchemaVersion)
		cancelled[cancellation.MessageId] = true
		return
	}
	var message attune.Message
	check(json.Unmarshal(record.Value, &message))
	known(message.SchemaVersion)
	newest = time.Now()
	if !seen[message.IdempotencyKey] {
		seen[message.IdempotencyKey] = true
		waiting = append(waiting, message)
	}
}

func known(version int) {
	if version != 1 {
		log.Fatalf("unknown schema_version %d: upgrade this sender", version)
	}
}

func deliver(message attune.Message, now time.Time) attune.Feedback {
	switch {
	case cancelled[message.MessageId]:
		return answer(message, attune.FeedbackStatusSkipped, now, "stale", "")
	case !now.Before(instant(message.ExpiresAt)):
		return answer(message, attune.FeedbackStatusSkipped, now, "expired", "")
	case *message.Category == attune.CategoryMarketing && !strings.HasPrefix(message.UnsubscribeUrl, "https://"):
		return answer(message, attune.FeedbackStatusFailed, now, "", "no_unsubscribe_url")
	}
	sent, err := json.Marshal(map[string]string{
		"to": message.UserId, "subject": message.EmailSubject, "body": message.Body, "label": message.AiLabel,
	})
	check(err)
	fmt.Println(string(sent))
	return answer(message, attune.FeedbackStatusSent, now, "", "")
}

func answer(message attune.Message, status attune.FeedbackStatus, now time.Time, abortType, abortLog string) attune.Feedback {
	digest := sha256.Sum256([]byte(fmt.Sprint(message.MessageId, ":", status.Value())))
	feedback := attune.Feedback{
		EventId:   fmt.Sprintf("%x", digest)[:32],
		MessageId: message.MessageId,
		UserId:    message.UserId,
		Channel:   message.Channel,
		Status:    &status,
		Timestamp: now.Format(time.RFC3339Nano),
	}
	if abortType != "" {
		feedback.AbortType = &abortType
	}
	if abortLog != "" {
		feedback.AbortLog = &abortLog
	}
	return feedback
}

func instant(text string) time.Time {
	found, err := time.Parse(time.RFC3339Nano, text)
	check(err)
	return found
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
