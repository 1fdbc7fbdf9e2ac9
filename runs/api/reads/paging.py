"""Pages of lists, and query strings that name what is wrong in them."""

from math import isfinite

from drf_spectacular.utils import extend_schema_field
from rest_framework import exceptions, serializers
from rest_framework.pagination import CursorPagination

from runs.api.fields import Instant, Text


class PageQuerySerializer(serializers.Serializer):
    """Parameters for paging through a list."""

    cursor = Text(required=False)
    page_size = serializers.IntegerField(required=False, min_value=1, max_value=10**9)


class ByArrival(CursorPagination):
    page_size, max_page_size, page_size_query_param = 50, 200, "page_size"
    cursor_query_description = "Position in the list, from `next` or `previous`."
    page_size_query_description = "At most 200; 50 if nothing is asked."
    ordering: tuple[str, ...] = ("-received_at", "-id")
    #: What a cursor may hold: the database is asked for nothing that it can't compare.
    position: serializers.Field = Instant()

    def paginate_queryset(self, queryset, request, view=None):
        checked_query(request, PageQuerySerializer)
        return super().paginate_queryset(queryset, request, view)

    def decode_cursor(self, request):
        try:
            cursor = super().decode_cursor(request)
            if cursor and cursor.position is not None:
                self.position.run_validation(cursor.position)
        except (exceptions.NotFound, exceptions.ValidationError):
            raise exceptions.ValidationError({"cursor": "is not valid for this list; start without one"}) from None
        return cursor


class BySlug(ByArrival):
    ordering = ("slug",)
    position = serializers.SlugField(max_length=100)


@extend_schema_field({"type": "string", "pattern": "^[a-z]+(,[a-z]+)*$"})
class Words(serializers.Field):
    """Words of a fixed set, separated by commas: `day,model`."""

    def __init__(self, *words: str, **options):
        self.words = words
        super().__init__(**options)

    def to_internal_value(self, data):
        asked = [word.strip() for word in str(data).split(",")]
        if unknown := [word for word in asked if word not in self.words]:
            raise serializers.ValidationError(
                f"has no {', '.join(map(repr, unknown))[:200]}; use {', '.join(self.words)}"
            )
        return tuple(dict.fromkeys(asked))


class Amount(serializers.FloatField):
    """A finite number, as a query string spells it."""

    def to_internal_value(self, data):
        number = super().to_internal_value(data)
        if not isfinite(number):
            self.fail("invalid")
        return number


def checked_query(request, serializer_class) -> dict:
    """Return the parameters of a query string. Raises ValidationError, which names those that are invalid."""
    serializer = serializer_class(data=request.query_params.dict())
    serializer.is_valid(raise_exception=True)
    return serializer.validated_data
