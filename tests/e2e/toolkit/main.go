// Serves one page as Prometheus's exporters do, with a web configuration file.
package main

import (
	"log/slog"
	"net/http"
	"os"

	"github.com/prometheus/exporter-toolkit/web"
)

func main() {
	addresses, file, systemd := []string{os.Args[1]}, os.Args[2], false
	http.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("up 1\n"))
	})
	flags := &web.FlagConfig{
		WebListenAddresses: &addresses,
		WebSystemdSocket:   &systemd,
		WebConfigFile:      &file,
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := web.ListenAndServe(&http.Server{}, flags, logger); err != nil {
		logger.Error("cannot serve", "err", err)
		os.Exit(1)
	}
}
