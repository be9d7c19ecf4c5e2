# Decoys: processes that are nobody's business but ours, a fixed number of them, each in its turn
# replaced by a new one. Counts those that got the number of a service that is gone, and those that
# ended by anything but our own signal.
# usage: decoys.pl DIRECTORY NUMBER
use strict;
use POSIX qw(WNOHANG SIGUSR2);
my ($place, $number) = @ARGV;
my (@decoys, %ended);
my ($reused, $hit, $born) = (0, 0, 0);

sub report {
    open my $file, '>', "$place/decoys.new" or die;
    print $file "$reused $hit $born\n";
    close $file;
    rename "$place/decoys.new", "$place/decoys" or die;
}

# Whoever ended before its turn.
sub look {
    while ((my $pid = waitpid -1, WNOHANG) > 0) {
        $hit++;
        $ended{$pid} = 1;
        warn "decoy $pid ended with $?\n";
    }
}

until (-e "$place/over") {
    my $pid = fork;
    if (!defined $pid) {
        select undef, undef, undef, 0.002;
    } elsif ($pid == 0) {
        sleep while 1;
    } else {
        push @decoys, $pid;
        $born++;
        $reused++ if unlink "$place/was/$pid";
    }
    look;
    if (@decoys > $number) {
        my $oldest = shift @decoys;
        next if delete $ended{$oldest};
        kill SIGUSR2, $oldest;
        waitpid $oldest, 0;
        $hit++ if ($? & 127) != SIGUSR2;
    }
    report if $born % 100 == 0;
}
look;
report;
kill 'KILL', @decoys;
