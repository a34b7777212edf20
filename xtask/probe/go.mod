// Pins the client that gRPC health is tried with, and builds it:
//
//	go build -trimpath -ldflags "-s -w" -o OUT github.com/grpc-ecosystem/grpc-health-probe
module syncer-health.dev/xtask/probe

go 1.26.0

require github.com/grpc-ecosystem/grpc-health-probe v0.4.62
