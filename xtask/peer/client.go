package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

// handshake is what a client says of itself first. A nil slice of capabilities arrives as null.
type handshake struct {
	SyncTarget   string            `json:"syncTarget"`
	Version      string            `json:"version"`
	Capabilities []string          `json:"capabilities"`
	Token        string            `json:"token,omitempty"`
	Metadata     map[string]string `json:"metadata,omitempty"`
}

// status is the payload of a status frame.
type status struct {
	ResourceID string `json:"resourceId"`
	Status     any    `json:"status"`
	Conditions any    `json:"conditions,omitempty"`
}

// client dials a hub once and stays until the connection or its time is over.
// It returns 0 when the hub accepted it, 1 when there was no tunnel.
func client(ctx context.Context, args []string) int {
	flags := flag.NewFlagSet("peer client", flag.ExitOnError)
	url := flags.String("url", "", "the hub's tunnel, ws://127.0.0.1:PORT/tunnel")
	name := flags.String("sync-target", "edge-1", "name of the SyncTarget")
	workspace := flags.String("workspace", "", "X-Workspace; may be empty")
	token := flags.String("token", "", "bearer token, for the header and the handshake")
	interval := flags.Duration("ping-interval", 30*time.Second, "between two WebSocket pings, 0 for none")
	pings := flags.Int("app-pings", 0, "application pings to send after the handshake")
	duration := flags.Duration("duration", 0, "close normally after this time, 0 for never")
	nilCapabilities := flags.Bool("nil-capabilities", false, "send \"capabilities\": null")
	sendStatus := flags.Bool("status", false, "send a status frame after the handshake")
	sendUnknown := flags.Bool("unknown-type", false, "send a frame of an unknown type after the handshake")
	_ = flags.Parse(args)

	header := http.Header{"X-Synctarget": {*name}, "X-Workspace": {*workspace}}
	if *token != "" {
		header.Set("Authorization", "Bearer "+*token)
	}
	dialer := websocket.Dialer{HandshakeTimeout: dialTimeout, ReadBufferSize: bufferSize, WriteBufferSize: bufferSize}
	ws, answer, err := dialer.DialContext(ctx, *url, header)
	if err != nil {
		failed := event{Event: "dial_failed", Error: text(err)}
		if answer != nil {
			failed.Status, failed.RetryAfter = answer.StatusCode, answer.Header.Get("Retry-After")
		}
		emit(failed)
		return 1
	}
	defer ws.Close()
	emit(event{Event: "connected"})

	t := newTunnel(ws, 0)
	hello := handshake{SyncTarget: *name, Version: "v1alpha1", Token: *token}
	if !*nilCapabilities {
		hello.Capabilities = []string{"sync", "status", "events"}
	}
	err = t.shake(hello)
	emit(event{Event: "handshake", Error: text(err)})
	if err != nil {
		return 1
	}

	for range *pings {
		err = errors.Join(err, t.send(newEnvelope("ping", nil)))
	}
	if *sendStatus {
		payload, _ := json.Marshal(status{
			ResourceID: "synctargets.workload.kcp.io/" + *name,
			Status:     map[string]string{"phase": "Ready", "note": "a<b & c>d"},
			Conditions: []map[string]string{{"type": "Ready", "status": "True"}},
		})
		err = errors.Join(err, t.send(newEnvelope("status", payload)))
	}
	if *sendUnknown {
		err = errors.Join(err, t.send(newEnvelope("telemetry", json.RawMessage(`{"from":"the future"}`))))
	}
	if err != nil {
		t.over(err)
		return 0
	}
	return t.stay(ctx, *interval, *duration)
}

// shake sends the handshake and waits for its answer; any other frame is a protocol error.
func (t *tunnel) shake(hello handshake) error {
	payload, err := json.Marshal(hello)
	if err != nil {
		return err
	}
	if err := t.send(newEnvelope("handshake", payload)); err != nil {
		return err
	}
	late := time.AfterFunc(handshakeWindow, func() { t.ws.Close() })
	defer late.Stop()
	answer, err := t.receive()
	switch {
	case err != nil:
		return fmt.Errorf("no handshake answer: %w", err)
	case answer.Type != "handshake":
		return fmt.Errorf("%q instead of a handshake answer", answer.Type)
	case answer.Error != "":
		return errors.New(answer.Error)
	}
	return nil
}

// stay answers application pings and sends WebSocket ones until the connection is over.
func (t *tunnel) stay(ctx context.Context, interval, duration time.Duration) int {
	if duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, duration)
		defer cancel()
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for {
			e, err := t.receive()
			if err == nil && e.Type == "ping" {
				err = t.send(newEnvelope("pong", nil))
			}
			if err != nil {
				t.over(err)
				return
			}
		}
	}()
	var pings <-chan time.Time
	if interval > 0 {
		pings = time.Tick(interval)
	}
	for {
		select {
		case <-pings: // the reader hears of a connection that is gone
			_ = t.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeTimeout))
		case <-read:
			return 0
		case <-ctx.Done():
			goodbye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
			_ = t.ws.WriteControl(websocket.CloseMessage, goodbye, time.Now().Add(writeTimeout))
			select {
			case <-read:
			case <-time.After(time.Second): // the hub does not answer it
			}
			return 0
		}
	}
}
