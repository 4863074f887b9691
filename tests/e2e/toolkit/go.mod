module toolkit

go 1.24

require github.com/prometheus/exporter-toolkit v0.20.0
