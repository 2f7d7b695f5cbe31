package testservers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Classpath fetches artefacts (group:artefact:version) and all that they need from Maven Central into a folder of the
// user's cache, once, and returns the folder as a class path. It needs mvn.
func Classpath(artefacts ...string) (string, error) {
	sum := sha256.Sum256([]byte(strings.Join(artefacts, "\n")))
	_, name, _ := strings.Cut(artefacts[0], ":")
	dir, err := cacheDir("maven")
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, strings.ReplaceAll(name, ":", "-")+"-"+hex.EncodeToString(sum[:4]))
	if _, err := os.Stat(dir); err != nil {
		if err := fetch(dir, artefacts); err != nil {
			return "", err
		}
	}
	return filepath.Join(dir, "*"), nil
}

// fetch fills a folder beside the wanted one and then gives it its name: another process that does the same at the same
// time does no harm.
func fetch(dir string, artefacts []string) error {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), "fetch")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	pom, err := pomOf(artefacts)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(work, "pom.xml"), pom, 0o600); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	jars := filepath.Join(work, "jars")
	err = command(ctx, mvn, "-q", "-B", "-f", filepath.Join(work, "pom.xml"), "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory="+jars)
	if err != nil {
		return err
	}
	if err := os.Rename(jars, dir); err != nil {
		if _, there := os.Stat(dir); there != nil {
			return errors.Join(err, there)
		}
	}
	return nil
}

// pomOf is a project that depends on the artefacts.
func pomOf(artefacts []string) ([]byte, error) {
	type dependency struct {
		Group    string `xml:"groupId"`
		Artefact string `xml:"artifactId"`
		Version  string `xml:"version"`
	}
	project := struct {
		XMLName xml.Name `xml:"http://maven.apache.org/POM/4.0.0 project"`
		Model   string   `xml:"modelVersion"`
		dependency
		Dependencies []dependency `xml:"dependencies>dependency"`
	}{Model: "4.0.0", dependency: dependency{"switchyard", "test-servers", "1"}}
	for _, a := range artefacts {
		parts := strings.Split(a, ":")
		if len(parts) != 3 {
			return nil, fmt.Errorf("%q is not group:artefact:version", a)
		}
		project.Dependencies = append(project.Dependencies, dependency{parts[0], parts[1], parts[2]})
	}
	return xml.Marshal(project)
}

// Java is the command that runs a class, or a source file of one, on a class path. It needs java.
func Java(classpath string, args ...string) (*exec.Cmd, error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return nil, err
	}
	options := []string{"-Xmx512m", "-XX:+UseSerialGC", "-cp", classpath}
	return exec.Command(java, append(options, args...)...), nil //nolint:noctx // it ends with its standard input
}

// startJava starts a program that is one source file.
func startJava(classpath, name string, source []byte, args ...string) (*Process, error) {
	sum := sha256.Sum256(source)
	dir, err := cacheDir("sources", hex.EncodeToString(sum[:4])) // another version's tests may run at the same time
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, name)
	if err := writeFile(path, source); err != nil {
		return nil, err
	}
	cmd, err := Java(classpath, append([]string{"-XX:TieredStopAtLevel=1", path}, args...)...)
	if err != nil {
		return nil, err
	}
	return Start(cmd)
}

// writeFile writes a file whole: another process that reads it sees the old one or the new one.
func writeFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path))
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	if _, err := f.Write(content); err != nil {
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
