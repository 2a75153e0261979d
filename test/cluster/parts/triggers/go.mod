module rungate.dev/cluster/triggers

go 1.26.4

require github.com/tektoncd/triggers v0.34.0
