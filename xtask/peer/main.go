// Command peer is the other side of a Wave 4 tunnel, for tests: a syncer that dials a hub
// (peer client) or a hub that accepts syncers (peer server).
//
// It speaks protocol v1alpha1 through Go's own JSON encoder and gorilla/websocket, so that what a
// test sees on the wire is what a Go peer really writes.
// Everything that happens is one JSON object a line on stdout; it ends when stdin is closed or on
// SIGTERM.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"
)

const (
	bufferSize      = 1 << 20
	readTimeout     = 60 * time.Second
	writeTimeout    = 10 * time.Second
	dialTimeout     = 30 * time.Second
	handshakeWindow = 10 * time.Second
)

// envelope is one text frame. The order of the fields is the order on the wire.
type envelope struct {
	ID        string          `json:"id"`
	Type      string          `json:"type"`
	Timestamp time.Time       `json:"timestamp"`
	Payload   json.RawMessage `json:"payload,omitempty"`
	Error     string          `json:"error,omitempty"`
}

// newEnvelope makes a frame with a fresh id, stamped now.
func newEnvelope(kind string, payload json.RawMessage) envelope {
	return envelope{ID: uuid.NewString(), Type: kind, Timestamp: time.Now(), Payload: payload}
}

// event is one line of output. Conn numbers a server's connections from 1; a client has none.
type event struct {
	Event   string          `json:"event"`
	Conn    int64           `json:"conn,omitempty"`
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type,omitempty"`
	Payload json.RawMessage `json:"payload,omitempty"`
	// Error is a pointer because an accepted handshake is one with an empty error.
	Error *string `json:"error,omitempty"`
	// Raw is the frame as it came.
	Raw        string   `json:"raw,omitempty"`
	Code       int      `json:"code,omitempty"`
	Reason     string   `json:"reason,omitempty"`
	Addr       string   `json:"addr,omitempty"`
	Status     int      `json:"status,omitempty"`
	RetryAfter string   `json:"retryAfter,omitempty"`
	Headers    *headers `json:"headers,omitempty"`
}

var output sync.Mutex

// emit writes one line.
func emit(e event) {
	output.Lock()
	defer output.Unlock()
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(e) != nil {
		os.Exit(3) // nobody listens any more
	}
}

// text gives the field Error of an event.
func text(err error) *string {
	s := ""
	if err != nil {
		s = err.Error()
	}
	return &s
}

// tunnel is one connection with the deadlines of a Wave 4 peer.
type tunnel struct {
	ws   *websocket.Conn
	conn int64
	mu   sync.Mutex // gorilla allows one writer at a time
}

// newTunnel takes over ws: every frame, control frames among them, moves the read deadline.
func newTunnel(ws *websocket.Conn, conn int64) *tunnel {
	t := &tunnel{ws: ws, conn: conn}
	t.alive()
	answer := ws.PingHandler()
	ws.SetPingHandler(func(data string) error {
		t.alive()
		emit(event{Event: "ws_ping", Conn: conn})
		return answer(data)
	})
	ws.SetPongHandler(func(string) error {
		t.alive()
		emit(event{Event: "ws_pong", Conn: conn})
		return nil
	})
	return t
}

func (t *tunnel) alive() { _ = t.ws.SetReadDeadline(time.Now().Add(readTimeout)) }

// send writes one frame.
func (t *tunnel) send(e envelope) error {
	frame, err := json.Marshal(e)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = t.ws.SetWriteDeadline(time.Now().Add(writeTimeout))
	return t.ws.WriteMessage(websocket.TextMessage, frame)
}

// receive blocks for the next frame that decodes, and reports each one it reads.
func (t *tunnel) receive() (envelope, error) {
	for {
		kind, frame, err := t.ws.ReadMessage()
		if err != nil {
			return envelope{}, err
		}
		if kind != websocket.TextMessage {
			return envelope{}, errors.New("binary frame")
		}
		t.alive()
		var e envelope
		if err := json.Unmarshal(frame, &e); err != nil {
			emit(event{Event: "invalid", Conn: t.conn, Error: text(err), Raw: string(frame)})
			continue
		}
		seen := event{Event: "message", Conn: t.conn, ID: e.ID, Type: e.Type, Payload: e.Payload, Raw: string(frame)}
		if e.Error != "" {
			seen.Error = &e.Error
		}
		emit(seen)
		return e, nil
	}
}

// over closes the connection and reports why. Code 0 is an end without a WebSocket one, 1006 an end
// without a close frame.
func (t *tunnel) over(err error) {
	closed := event{Event: "closed", Conn: t.conn, Reason: err.Error()}
	var frame *websocket.CloseError
	if errors.As(err, &frame) {
		closed.Code, closed.Reason = frame.Code, frame.Text
	}
	t.ws.Close()
	emit(closed)
}

func main() {
	run := map[string]func(context.Context, []string) int{"client": client, "server": server}
	if len(os.Args) < 2 || run[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: peer client|server [flags] (-h after the mode lists them)")
		os.Exit(2)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	go func() { // a test that dies takes its peers with it
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	os.Exit(run[os.Args[1]](ctx, os.Args[2:]))
}
