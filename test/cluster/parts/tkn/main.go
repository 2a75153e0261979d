// tkn with the commands that read runs: Tekton's own code, without the commands whose modules the Go proxy does not serve.
package main

import (
	"os"

	"github.com/spf13/cobra"
	"github.com/tektoncd/cli/pkg/cli"
	"github.com/tektoncd/cli/pkg/cmd/pipelinerun"
	"github.com/tektoncd/cli/pkg/cmd/taskrun"
)

func main() {
	params := &cli.TektonParams{}
	tkn := &cobra.Command{Use: "tkn", Short: "CLI for tekton pipelines", SilenceUsage: true}
	tkn.AddCommand(pipelinerun.Command(params), taskrun.Command(params))
	if tkn.Execute() != nil {
		os.Exit(1)
	}
}
