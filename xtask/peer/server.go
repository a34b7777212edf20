package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"

	"github.com/gorilla/websocket"
)

// headers are those of an upgrade request that the tunnel uses; null is one that was not sent.
type headers struct {
	// AuthorizationLength stands for the header, which is a secret.
	AuthorizationLength *int    `json:"authorizationLength"`
	SyncTarget          *string `json:"syncTarget"`
	Workspace           *string `json:"workspace"`
}

// headersOf picks them out of a request.
func headersOf(r *http.Request) *headers {
	one := func(name string) *string {
		if values := r.Header.Values(name); len(values) > 0 {
			return &values[0]
		}
		return nil
	}
	h := &headers{SyncTarget: one("X-SyncTarget"), Workspace: one("X-Workspace")}
	if authorization := one("Authorization"); authorization != nil {
		length := len(*authorization)
		h.AuthorizationLength = &length
	}
	return h
}

// hub is a server and the ways in which it misbehaves.
type hub struct {
	refuse     string
	dropAfter  int
	httpStatus int
	retryAfter int
	silent     bool
	nilPayload bool

	upgrader websocket.Upgrader
	count    atomic.Int64
}

// server accepts syncers at /tunnel until it is stopped, which drops them.
func server(ctx context.Context, args []string) int {
	h := &hub{upgrader: websocket.Upgrader{ReadBufferSize: bufferSize, WriteBufferSize: bufferSize}}
	flags := flag.NewFlagSet("peer server", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:0", "address to listen on")
	flags.StringVar(&h.refuse, "refuse", "", "answer a handshake with this error")
	flags.IntVar(&h.dropAfter, "drop-after", 0, "drop a connection after this many frames, the handshake among them and the last one answered")
	flags.IntVar(&h.httpStatus, "http-status", 0, "answer an upgrade with this status instead")
	flags.IntVar(&h.retryAfter, "retry-after", 0, "Retry-After in seconds, with -http-status")
	flags.BoolVar(&h.silent, "no-handshake-answer", false, "never answer a handshake")
	flags.BoolVar(&h.nilPayload, "nil-payload", false, "send \"payload\": null instead of none")
	_ = flags.Parse(args)

	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/tunnel", h.serve)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: writeTimeout}
	emit(event{Event: "listening", Addr: listener.Addr().String()})
	go func() { _ = srv.Serve(listener) }()
	<-ctx.Done()
	return 0
}

// serve handles one upgrade request and then its connection.
func (h *hub) serve(w http.ResponseWriter, r *http.Request) {
	seen := event{Event: "connection", Conn: h.count.Add(1), Headers: headersOf(r)}
	if h.httpStatus != 0 {
		seen.Event, seen.Status = "rejected", h.httpStatus
		emit(seen)
		if h.retryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(h.retryAfter))
		}
		http.Error(w, http.StatusText(h.httpStatus), h.httpStatus)
		return
	}
	ws, err := h.upgrader.Upgrade(w, r, nil) // answers by itself when it fails
	if err != nil {
		seen.Event, seen.Error = "not_upgraded", text(err)
		emit(seen)
		return
	}
	emit(seen)
	t := newTunnel(ws, seen.Conn)
	t.over(h.run(t))
}

// run answers frames until the connection is over and says why it is.
func (h *hub) run(t *tunnel) error {
	var nothing json.RawMessage
	if h.nilPayload {
		nothing = json.RawMessage("null")
	}
	for frames := 1; ; frames++ {
		e, err := t.receive()
		if err != nil {
			return err
		}
		switch {
		case e.Type == "handshake" && !h.silent:
			answer := newEnvelope("handshake", nothing)
			answer.ID, answer.Error = e.ID, h.refuse
			err = t.send(answer)
		case e.Type == "ping":
			err = t.send(newEnvelope("pong", nothing))
		}
		if err != nil {
			return err
		}
		if frames == h.dropAfter {
			return fmt.Errorf("dropped after %d frames", frames)
		}
	}
}
