"""Every error the broker may answer with: one class per Kafka error code, under Kafka's own name.

Raise the class where the fault is found, with a message that names the thing, the number and the next step; the API
layer turns it into the code (and, where the version of the answer has room for it, the message). Codes are Kafka's:
org.apache.kafka.common.protocol.Errors.
"""

from __future__ import annotations

from typing import ClassVar

NONE = 0
"""The code of an answer without error."""


class KafkaError(Exception):
    """The root. A subclass fixes `code`; anything else that escapes a handler is answered as UNKNOWN_SERVER_ERROR."""

    code: ClassVar[int] = -1

    def __init_subclass__(cls, *, code: int | None = None) -> None:
        super().__init_subclass__()
        if code is not None:
            cls.code = code

    @property
    def message(self) -> str:
        """What a client is told; the class's name when the raiser said nothing."""
        return str(self) or type(self).__name__


class MalformedFrame(Exception):
    """Bytes that are no Kafka request: the connection is closed, since nothing after them can be trusted."""


class LeaderMoved(KafkaError):
    """Root of the errors that tell the client who leads now (KIP-951), so that it need not ask for metadata."""

    def __init__(self, message: str = "", *, leader: int = -1, epoch: int = -1) -> None:
        super().__init__(message)
        self.leader = leader
        self.epoch = epoch


class UnknownServerError(KafkaError, code=-1): ...


class OffsetOutOfRange(KafkaError, code=1): ...


class CorruptMessage(KafkaError, code=2): ...


class UnknownTopicOrPartition(KafkaError, code=3): ...


class LeaderNotAvailable(KafkaError, code=5): ...


class NotLeaderOrFollower(LeaderMoved, code=6): ...


class RequestTimedOut(KafkaError, code=7): ...


class ReplicaNotAvailable(KafkaError, code=9): ...


class MessageTooLarge(KafkaError, code=10): ...


class PreferredLeaderNotAvailable(KafkaError, code=80): ...


class OffsetMetadataTooLarge(KafkaError, code=12): ...


class CoordinatorLoadInProgress(KafkaError, code=14): ...


class CoordinatorNotAvailable(KafkaError, code=15): ...


class NotCoordinator(KafkaError, code=16): ...


class InvalidTopic(KafkaError, code=17): ...


class RecordListTooLarge(KafkaError, code=18): ...


class NotEnoughReplicas(KafkaError, code=19): ...


class NotEnoughReplicasAfterAppend(KafkaError, code=20): ...


class InvalidRequiredAcks(KafkaError, code=21): ...


class IllegalGeneration(KafkaError, code=22): ...


class InconsistentGroupProtocol(KafkaError, code=23): ...


class InvalidGroupId(KafkaError, code=24): ...


class UnknownMemberId(KafkaError, code=25): ...


class InvalidSessionTimeout(KafkaError, code=26): ...


class RebalanceInProgress(KafkaError, code=27): ...


class TopicAuthorizationFailed(KafkaError, code=29): ...


class GroupAuthorizationFailed(KafkaError, code=30): ...


class ClusterAuthorizationFailed(KafkaError, code=31): ...


class InvalidTimestamp(KafkaError, code=32): ...


class UnsupportedSaslMechanism(KafkaError, code=33): ...


class IllegalSaslState(KafkaError, code=34): ...


class UnsupportedVersion(KafkaError, code=35): ...


class TopicAlreadyExists(KafkaError, code=36): ...


class InvalidPartitions(KafkaError, code=37): ...


class InvalidReplicationFactor(KafkaError, code=38): ...


class InvalidReplicaAssignment(KafkaError, code=39): ...


class InvalidConfig(KafkaError, code=40): ...


class NotController(KafkaError, code=41): ...


class InvalidRequest(KafkaError, code=42): ...


class UnsupportedForMessageFormat(KafkaError, code=43): ...


class PolicyViolation(KafkaError, code=44): ...


class OutOfOrderSequenceNumber(KafkaError, code=45): ...


class DuplicateSequenceNumber(KafkaError, code=46): ...


class InvalidProducerEpoch(KafkaError, code=47): ...


class InvalidTxnState(KafkaError, code=48): ...


class InvalidProducerIdMapping(KafkaError, code=49): ...


class InvalidTransactionTimeout(KafkaError, code=50): ...


class ConcurrentTransactions(KafkaError, code=51): ...


class TransactionCoordinatorFenced(KafkaError, code=52): ...


class TransactionalIdAuthorizationFailed(KafkaError, code=53): ...


class OperationNotAttempted(KafkaError, code=55): ...


class KafkaStorageError(KafkaError, code=56): ...


class SecurityDisabled(KafkaError, code=54): ...


class SaslAuthenticationFailed(KafkaError, code=58): ...


class UnknownProducerId(KafkaError, code=59): ...


class ReassignmentInProgress(KafkaError, code=60): ...


class NonEmptyGroup(KafkaError, code=68): ...


class GroupIdNotFound(KafkaError, code=69): ...


class ListenerNotFound(KafkaError, code=72): ...


class FencedLeaderEpoch(LeaderMoved, code=74): ...


class UnknownLeaderEpoch(KafkaError, code=75): ...


class UnsupportedCompressionType(KafkaError, code=76): ...


class StaleBrokerEpoch(KafkaError, code=77): ...


class OffsetNotAvailable(KafkaError, code=78): ...


class MemberIdRequired(KafkaError, code=79): ...


class GroupMaxSizeReached(KafkaError, code=81): ...


class FencedInstanceId(KafkaError, code=82): ...


class EligibleLeadersNotAvailable(KafkaError, code=83): ...


class ElectionNotNeeded(KafkaError, code=84): ...


class NoReassignmentInProgress(KafkaError, code=85): ...


class GroupSubscribedToTopic(KafkaError, code=86): ...


class InvalidRecord(KafkaError, code=87): ...


class UnstableOffsetCommit(KafkaError, code=88): ...


class ThrottlingQuotaExceeded(KafkaError, code=89): ...


class ProducerFenced(KafkaError, code=90): ...


class InvalidUpdateVersion(KafkaError, code=95): ...


class FeatureUpdateFailed(KafkaError, code=96): ...


class ResourceNotFound(KafkaError, code=91): ...


class DuplicateResource(KafkaError, code=92): ...


class UnacceptableCredential(KafkaError, code=93): ...


class DelegationTokenAuthorizationFailed(KafkaError, code=65): ...


class FetchSessionIdNotFound(KafkaError, code=70): ...


class InvalidFetchSessionEpoch(KafkaError, code=71): ...


class UnknownTopicId(KafkaError, code=100): ...


class InconsistentTopicId(KafkaError, code=103): ...


class TransactionalIdNotFound(KafkaError, code=105): ...


class FetchSessionTopicIdError(KafkaError, code=106): ...


class FencedMemberEpoch(KafkaError, code=110): ...


class UnreleasedInstanceId(KafkaError, code=111): ...


class UnsupportedAssignor(KafkaError, code=112): ...


class StaleMemberEpoch(KafkaError, code=113): ...


class UnknownSubscriptionId(KafkaError, code=117): ...


class InvalidRegularExpression(KafkaError, code=128): ...


class TelemetryTooLarge(KafkaError, code=118): ...


class InvalidRecordState(KafkaError, code=121): ...


class ShareSessionNotFound(KafkaError, code=122): ...


class InvalidShareSessionEpoch(KafkaError, code=123): ...


class FencedStateEpoch(KafkaError, code=124): ...


class ShareSessionLimitReached(KafkaError, code=133): ...


def code_of(error: BaseException) -> int:
    """The Kafka code for any exception: its own, or UNKNOWN_SERVER_ERROR."""
    return error.code if isinstance(error, KafkaError) else UnknownServerError.code


def name_of(code: int) -> str:
    """Kafka's name of a code, as metrics show it: NOT_LEADER_OR_FOLLOWER."""
    if not _names:
        _collect_names(KafkaError)
    return _names.get(code, str(code))


_names: dict[int, str] = {}


def _collect_names(root: type[KafkaError]) -> None:
    for error in root.__subclasses__():
        if "code" in vars(error):
            words = "".join(f"_{letter}" if letter.isupper() else letter for letter in error.__name__)
            _names[error.code] = words.lstrip("_").upper()
        _collect_names(error)
